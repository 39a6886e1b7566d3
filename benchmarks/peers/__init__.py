"""Other people's engines behind our types, to be held against ours."""
