"""Jobs of agents: the saver, the lease, the money, the kinds."""
