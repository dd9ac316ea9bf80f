"""What happens on an application: the middleware, and what is checked when it starts."""
