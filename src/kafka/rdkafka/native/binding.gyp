# Builds millrace_kafka.node against the librdkafka that node-rdkafka built, found from the package that is installed.
{
  "variables": {
    "rdkafka_dir": "<!(node -p \"require('node:path').dirname(require.resolve('node-rdkafka/package.json'))\")",
    "rdkafka_lib_from_here": "<!(node -p \"const p=require('node:path');p.relative(p.resolve('build/Release'),p.join(p.dirname(require.resolve('node-rdkafka/package.json')),'build/deps'))\")",
    "nan_dir": "<!(node -p \"const p=require('node:path');p.dirname(require.resolve('nan',{paths:[p.dirname(require.resolve('node-rdkafka/package.json'))]}))\")",
    "asan%": 0,
  },
  "targets": [
    {
      "target_name": "millrace_kafka",
      "sources": [
        "addon.cc",
        "acknowledgement.cc",
        "admin.cc",
        "call.cc",
        "client.cc",
        "failure.cc",
        "frame-pool.cc",
        "group.cc",
        "offsets.cc",
        "poll.cc",
        "produce.cc",
        "token.cc",
        "transaction.cc",
      ],
      "include_dirs": [
        "<(nan_dir)",
        "<(rdkafka_dir)",
        "<(rdkafka_dir)/deps/librdkafka/src",
        "<(rdkafka_dir)/deps/librdkafka/src-cpp",
      ],
      "cflags": ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type"],
      "cflags_cc": ["-std=c++20"],
      "cflags_cc!": ["-fno-rtti", "-std=gnu++17"],
      "conditions": [
        [
          'OS=="linux"',
          {
            "libraries": [
              "<(rdkafka_dir)/build/deps/librdkafka.so.1",
              "-Wl,-rpath,'$$ORIGIN/<(rdkafka_lib_from_here)'",
            ],
          },
        ],
        [
          'OS=="mac"',
          {
            "libraries": [
              "<(rdkafka_dir)/build/deps/librdkafka.dylib",
              "-Wl,-rpath,'@loader_path/<(rdkafka_lib_from_here)'",
            ],
            "xcode_settings": {
              "GCC_ENABLE_CPP_RTTI": "YES",
              "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
              "MACOSX_DEPLOYMENT_TARGET": "11.0",
            },
          },
        ],
        [
          "asan==1",
          {
            "cflags": ["-fsanitize=address", "-fno-omit-frame-pointer", "-g", "-O1"],
            "ldflags": ["-fsanitize=address"],
          },
        ],
      ],
    }
  ],
}
