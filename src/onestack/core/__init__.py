"""What every service stands on: HTTP, database, auth context, policy, operations, quota, paging, ids and time."""
