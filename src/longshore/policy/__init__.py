"""Egress rules: which destinations a program may connect to (PURE)."""

from longshore.policy.evaluate import EgressPolicy
from longshore.policy.rules import Rule, parse_rule, parse_rules

__all__ = ["EgressPolicy", "Rule", "parse_rule", "parse_rules"]
