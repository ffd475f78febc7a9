"""How long a test waits before it calls something hung. It says nothing of how quick anything is: a machine that is busy with other things
must not reach it, and a test that passes waits for no more than it needs."""
PATIENCE_S = 120
