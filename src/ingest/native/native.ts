/**
 * The native engine: an RTSP-over-TCP client of our own on the pure parsers of `media` (sdp, rtsp, rtp, depacketize).
 * One session per stream, no child process; packets are put together to access units out of one reused read buffer.
 */
export { RtspReader } from '../../media/rtsp.js';
