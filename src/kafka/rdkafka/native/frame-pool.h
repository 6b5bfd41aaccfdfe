// Blocks of memory for source frames, kept for the next frame when JavaScript lets one go. Any thread.
// Keeps SPEC: FRAME-2 (a source frame can be transferred to another thread; its memory is freed wherever it dies).
#pragma once
#include <v8.h>

#include <cstddef>
#include <memory>

namespace millrace {

/** A block of at least `bytes`; never null (a machine out of memory ends the process, as in V8). */
void* TakeBlock(size_t bytes);

/** Gives a block back; `bytes` as it was asked for. */
void GiveBlock(void* block, size_t bytes);

/** A transferable ArrayBuffer store over a block; the block comes back here when the last buffer over it dies. */
std::unique_ptr<v8::BackingStore> StoreOver(void* block, size_t bytes);

}  // namespace millrace
