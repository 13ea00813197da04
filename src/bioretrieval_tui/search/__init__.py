"""From a query to hits: the engine, the catalogue's own index, and the process that serves both."""
