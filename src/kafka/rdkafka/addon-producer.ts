// The blocking calls of a producer through the addon. Main thread.
// Keeps SPEC: KAFKA-2 (offsets go with their metadata and the membership of their assignment), NATIVE-2.
import type { DeliveryFailure, GroupMetadata } from '../port.ts'
import type { ClientLife } from './client-life.ts'
import type { RdProducer } from './node-rdkafka.ts'
import type { OffsetWithMetadata, ProducerDriver } from './producer.ts'

export class AddonProducerDriver implements ProducerDriver {
  readonly #life: ClientLife<RdProducer>

  constructor(life: ClientLife<RdProducer>) {
    this.#life = life
  }

  produce(frames: ArrayBuffer[], topics: (readonly string[])[]): Promise<void> {
    return this.#life.callNative((native, done) => native.produce(frames, topics, done))
  }
  flush(timeoutMs: number): Promise<void> {
    return this.#life.callNative((native, done) => native.flush(timeoutMs, done))
  }
  failures(): DeliveryFailure[] {
    return this.#life.isClosing ? [] : this.#life.native!.failures()
  }
  initTransactions(timeoutMs: number): Promise<void> {
    return this.#life.callNative((native, done) => native.initTransactions(timeoutMs, done))
  }
  begin(): Promise<void> {
    return this.#life.callNative((native, done) => native.begin(0, done))
  }
  sendOffsets(offsets: OffsetWithMetadata[], group: GroupMetadata, timeoutMs: number): Promise<void> {
    return this.#life.callNative((native, done) => native.sendOffsets(offsets, group, timeoutMs, done))
  }
  commit(timeoutMs: number): Promise<void> {
    return this.#life.callNative((native, done) => native.commit(timeoutMs, done))
  }
  abort(timeoutMs: number): Promise<void> {
    return this.#life.callNative((native, done) => native.abort(timeoutMs, done))
  }
}
