"""What a browser sees: pages rendered with Jinja2."""
