"""`python -m deepcanon.claims` writes the verdicts into `docs/claims.md`."""

from deepcanon.claims.page import write_page

write_page()
