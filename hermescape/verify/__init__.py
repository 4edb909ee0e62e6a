"""Does the derivation agree with SGD? Plan, judge, report."""
