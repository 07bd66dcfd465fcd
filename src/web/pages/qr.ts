import jsQR from 'jsqr';

/** What browsers call it (W3C Shape Detection); not all have it, and not all that have it know QR codes. */
interface Detector {
  detect(image: CanvasImageSource): Promise<{ rawValue: string }[]>;
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
}

/** Text of the QR code in a picture; null: none was found. */
export type ReadQr = (image: CanvasImageSource, width: number, height: number) => Promise<string | null>;

/** Longest side that is searched: a code that fills a tenth of a photo is still found, and a phone needs a moment only. */
const SIDES = [1_600, 800];

/** By the browser where it can, else by ourselves: what is in the picture stays on this device either way. */
export async function qrReader(): Promise<ReadQr> {
  const native = await detector();
  return async (image, width, height) => {
    try {
      const [found] = (await native?.detect(image)) ?? [];
      if (found !== undefined) return found.rawValue;
    } catch {
      // Some say that they can and then cannot: what follows does not need them.
    }
    for (const side of SIDES) {
      const pixels = pixelsOf(image, width, height, side);
      const text = pixels === null ? undefined : jsQR(pixels.data, pixels.width, pixels.height)?.data;
      if (text !== undefined && text !== '') return text;
    }
    return null;
  };
}

async function detector(): Promise<Detector | null> {
  const { BarcodeDetector } = globalThis as { BarcodeDetector?: DetectorClass };
  if (BarcodeDetector === undefined) return null;
  try {
    const formats = await BarcodeDetector.getSupportedFormats();
    return formats.includes('qr_code') ? new BarcodeDetector({ formats: ['qr_code'] }) : null;
  } catch {
    return null;
  }
}

function pixelsOf(image: CanvasImageSource, width: number, height: number, side: number): ImageData | null {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) return null;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
