"""What `scripts/scale` computes with: parameters, the calls of one job, their cost, and a burst of uploads."""
