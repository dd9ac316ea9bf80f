"""Small applications that show how fastapi_sessionkit is used. Each one runs, and is tested."""
