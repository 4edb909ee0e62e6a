"""What can be computed: compiles and runs what `theory` derived, and derives nothing itself."""
