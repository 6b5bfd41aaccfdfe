// Teaches kafkajs to read and write lz4, which it leaves to packages. Main thread of a peer's process.
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrameSync } from 'lz4-napi'

/** Registers the codec; kafkajs keeps codecs in one table of the process. */
export function registerLz4(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: (encoder: { buffer: Buffer }): Promise<Buffer> => compressFrame(encoder.buffer),
    decompress: (buffer: Buffer): Promise<Buffer> => Promise.resolve(decompressFrameSync(buffer)),
  })
}
