{
  "targets": [
    {
      "target_name": "forker",
      "conditions": [
        ["OS=='linux'", {
          "sources": ["native/forker.c"],
          "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-O2"]
        }, {
          "type": "none"
        }]
      ]
    }
  ]
}
