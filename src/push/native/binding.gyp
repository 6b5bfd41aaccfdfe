# Builds millrace_push.node: Node-API alone, so that one build fits every Node.
{
  "targets": [
    {
      "target_name": "millrace_push",
      "sources": ["addon.cc"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "cflags_cc": ["-std=c++20"],
      "cflags_cc!": ["-std=gnu++17"],
      "conditions": [
        [
          'OS=="mac"',
          {
            "xcode_settings": {
              "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
              "MACOSX_DEPLOYMENT_TARGET": "11.0",
            },
          },
        ],
      ],
    }
  ],
}
