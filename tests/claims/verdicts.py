"""What the tests of the claims share."""

from deepcanon.claims import index, measure


def measured(id: str, verdict: str) -> dict[str, float]:
    """The numbers of a claim, measured now, once its verdict is the expected one and the recorded one."""
    finding = measure(id).finding
    assert finding.verdict == verdict, finding
    record = index.record(id)
    assert record is not None, f"no record: deepcanon claims {id} --record"
    assert (record["verdict"], record["statement"]) == (verdict, index.statement(id).text)
    assert record["measured"].keys() == finding.measured.keys()
    return finding.measured
