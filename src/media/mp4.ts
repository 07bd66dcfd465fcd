/** Fragmented MP4: build and parse. */
export { buildFragment, buildInit } from './mp4-write.js';
export {
  accessUnitsOf,
  BoxReader,
  listFragments,
  parseFile,
  parseInit,
  parseMoof,
  walkBoxes,
  type Box,
  type FileInfo,
  type FragmentInfo,
  type InitInfo,
  type MoofInfo,
  type SampleInfo,
} from './mp4-read.js';
