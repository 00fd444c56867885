"""The embedded target: real PostgreSQL, a platform, functions in Deno. A target like any other to everything else."""
