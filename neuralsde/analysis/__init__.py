"""What a neuroscientist reads from a trained model: behaviour, condition averages, and the dynamics themselves."""
