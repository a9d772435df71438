"""Real hosts with real workers, over real HTTP."""
