"""How does it become machine code? Code generation, its functions, and where compiled code is kept."""
