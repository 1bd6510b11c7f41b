"""Pictures into pictures, by a trained model: one, a list, or a folder of them."""
