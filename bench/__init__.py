"""What cellrt costs on this machine, each as a ratio against the best there is: `cellrt bench`."""
