"""What bench_migration is made of: saved guests with a load each, a WAN between two hosts, and ways to move from one to the other."""
