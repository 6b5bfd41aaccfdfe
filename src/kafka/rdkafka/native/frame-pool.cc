// Blocks for source frames by power of two, at most 64 MiB kept. Any thread (a frame may die on a lane's thread).
// Fresh memory costs a page fault per 4 KiB, which at 300 MB/s is a tenth of a core.
#include "frame-pool.h"

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace millrace {
namespace {

constexpr size_t kSmallestKeptBytes = size_t{64} << 10;
constexpr size_t kLargestKeptBytes = size_t{8} << 20;
constexpr size_t kKeptBytesMax = size_t{64} << 20;
constexpr int kClassCount = 8;  // 64 KiB .. 8 MiB

struct Pool {
  std::mutex lock;
  std::vector<void*> kept[kClassCount];
  size_t kept_bytes = 0;
};

/** Leaked on purpose: frames may die after the static destructors. */
Pool& ThePool() {
  static Pool* pool = new Pool();
  return *pool;
}

bool IsKept(size_t bytes) { return bytes > kSmallestKeptBytes / 2 && bytes <= kLargestKeptBytes; }

size_t BlockBytes(size_t bytes) { return std::max(std::bit_ceil(bytes), kSmallestKeptBytes); }

int ClassOf(size_t block_bytes) { return std::countr_zero(block_bytes) - std::countr_zero(kSmallestKeptBytes); }

void* Allocate(size_t bytes) {
  void* block = std::malloc(bytes);
  if (block == nullptr) std::abort();
  return block;
}

void GiveBack(void* block, size_t bytes, void*) { GiveBlock(block, bytes); }

}  // namespace

void* TakeBlock(size_t bytes) {
  if (!IsKept(bytes)) return Allocate(bytes);
  const size_t block_bytes = BlockBytes(bytes);
  Pool& pool = ThePool();
  {
    std::lock_guard<std::mutex> guard(pool.lock);
    std::vector<void*>& kept = pool.kept[ClassOf(block_bytes)];
    if (!kept.empty()) {
      void* block = kept.back();
      kept.pop_back();
      pool.kept_bytes -= block_bytes;
      return block;
    }
  }
  return Allocate(block_bytes);
}

void GiveBlock(void* block, size_t bytes) {
  if (IsKept(bytes)) {
    const size_t block_bytes = BlockBytes(bytes);
    Pool& pool = ThePool();
    std::lock_guard<std::mutex> guard(pool.lock);
    if (pool.kept_bytes + block_bytes <= kKeptBytesMax) {
      pool.kept[ClassOf(block_bytes)].push_back(block);
      pool.kept_bytes += block_bytes;
      return;
    }
  }
  std::free(block);
}

std::unique_ptr<v8::BackingStore> StoreOver(void* block, size_t bytes) {
  return v8::ArrayBuffer::NewBackingStore(block, bytes, GiveBack, nullptr);
}

}  // namespace millrace
