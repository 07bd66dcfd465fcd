/**
 * Follows the packet boundaries of an MQTT byte stream (v5 §2.1.4: one byte type, remaining length as a variable
 * byte integer) and says when a packet is longer than allowed. A server must keep to the Maximum Packet Size that we
 * announce (§3.1.2.11.4), but a hostile one would make the parser buffer up to 256 MB.
 */
export class PacketMeter {
  readonly #max: number;
  #skip = 0;
  #inLength = false;
  #length = 0;
  #shift = 0;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /** False as soon as a packet announces more than the limit, or a length that is not one. */
  take(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length;) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const byte = chunk[at++]!;
      if (!this.#inLength) {
        this.#inLength = true;
        this.#length = 0;
        this.#shift = 0;
        continue;
      }
      this.#length += (byte & 0x7f) * 2 ** this.#shift;
      this.#shift += 7;
      if ((byte & 0x80) === 0) {
        this.#inLength = false;
        this.#skip = this.#length;
        if (this.#length + 5 > this.#max) return false;
      } else if (this.#shift > 21) {
        return false;
      }
    }
    return true;
  }
}
