"""Egress rules: which destinations a program may connect to (PURE)."""

from longshore.policy.evaluate import EgressPolicy, Verdict
from longshore.policy.rules import Rule, parse_rule, parse_rules

__all__ = ["EgressPolicy", "Rule", "Verdict", "parse_rule", "parse_rules"]
