"""What operators decide about sender numbers of all tenants."""
