"""Where features are computed: workers, in this process or in others."""
