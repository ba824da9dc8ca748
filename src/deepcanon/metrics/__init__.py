"""Measures of what models produce: functions of tensors."""
