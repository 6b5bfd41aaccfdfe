// The addon's module: what JavaScript gets from millrace_push.node. uWebSockets gives neither its sockets' descriptors nor
// a way to set options on them, so the listening ones are found among all descriptors of the process. Main thread.
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <system_error>

namespace millrace {
namespace {

/** Its entries are named by the open descriptors. */
#ifdef __linux__
constexpr const char* kDescriptors = "/proc/self/fd";
#else
constexpr const char* kDescriptors = "/dev/fd";
#endif

/** Of an IPv4 or IPv6 socket; nothing of anything else. */
std::optional<uint16_t> LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return std::nullopt;
}

/** A connection that was accepted has the port of the socket that listens, but does not listen. */
bool IsListening(int fd) {
  int is_listening = 0;
  socklen_t length = sizeof is_listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &length) == 0 && is_listening != 0;
}

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

/** Returns how many sockets listen on the port, or minus the errno of what failed. */
int LimitUnsent(uint16_t port, uint32_t bytes) {
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(kDescriptors));
  if (folder == nullptr) return -errno;
  int count = 0;
  while (const dirent* entry = readdir(folder.get())) {
    char* end = nullptr;
    const int fd = static_cast<int>(std::strtol(entry->d_name, &end, 10));
    if (end == entry->d_name || LocalPort(fd) != port || !IsListening(fd)) continue;  // `.` is no number
    if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) != 0) return -errno;
    count++;
  }
  return count;
}

/** `limitUnsent(port, bytes)`: the number of sockets that it was set on; throws an Error with the text of the errno. */
napi_value LimitUnsentJs(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  uint32_t port = 0;
  uint32_t bytes = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok ||
      napi_get_value_uint32(env, arguments[0], &port) != napi_ok ||
      napi_get_value_uint32(env, arguments[1], &bytes) != napi_ok) {
    napi_throw_type_error(env, nullptr, "limitUnsent takes a port and a number of bytes");
    return nullptr;
  }
  const int found = LimitUnsent(static_cast<uint16_t>(port), bytes);
  if (found < 0) {
    napi_throw_error(env, nullptr, std::generic_category().message(-found).c_str());
    return nullptr;
  }
  napi_value result = nullptr;
  napi_create_int32(env, found, &result);
  return result;
}

}  // namespace
}  // namespace millrace

NAPI_MODULE_INIT() {
  napi_value limit_unsent = nullptr;
  napi_create_function(env, "limitUnsent", NAPI_AUTO_LENGTH, millrace::LimitUnsentJs, nullptr, &limit_unsent);
  napi_set_named_property(env, exports, "limitUnsent", limit_unsent);
  return exports;
}
