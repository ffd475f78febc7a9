"""Parts of bench_image."""
