"""Identity v2.0, in the words of Keystone up to Queens. Each handler translates to what v3 does and back."""
