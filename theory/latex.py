def equations(s): return ""
