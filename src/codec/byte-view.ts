// One DataView kept for the bytes that are being written: rows go into the same array one after the other. Hot.
// Runs on a lane.
// Keeps SPEC: ROW-1 (layout of a row).

let viewed = new Uint8Array(0)
let view = new DataView(viewed.buffer)

/**
 * A view over the bytes of `target`. The array itself is compared, not its buffer: asking two objects for their buffers
 * took 17 % of a row.
 */
export function viewOf(target: Uint8Array): DataView {
  if (viewed !== target) {
    viewed = target as typeof viewed
    view = new DataView(viewed.buffer, viewed.byteOffset, viewed.byteLength)
  }
  return view
}
