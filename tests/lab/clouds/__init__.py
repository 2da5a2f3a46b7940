"""Tests that share one lab: two Kube-OVN shaped sites, two OpenStack sites."""
