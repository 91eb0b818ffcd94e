"""Opens artifacts in inference runtimes: a session is one artifact open in one runtime."""
