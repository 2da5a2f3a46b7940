"""Commands about the interconnection databases' servers: `ovnmesh ic-db`."""
