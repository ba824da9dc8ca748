"""Numbers of a run without those that a repetition does not reproduce."""


def untimed(numbers: dict) -> dict:
    """All but seconds."""
    return {name: value for name, value in numbers.items() if "seconds" not in name}
