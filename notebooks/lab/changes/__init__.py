"""New versions of a Workflow that is right, as a team would deploy them."""
