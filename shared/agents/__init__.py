"""Long jobs of agents: graphs run in short steps, each paid for once, that finish whatever dies meanwhile."""
