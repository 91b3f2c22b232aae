package decode

// take adds text at file offset start to the line of the framing's stream; whole says that this ends the line. end is
// the offset behind it.
func (d *Decoder) take(text []byte, start, end int64, whole bool) {
	s := d.framing.stream
	h := &d.partial[s]
	d.end = end
	if !h.active && whole && len(text) <= d.plan.max {
		d.logical(s, text, h, true)
		return
	}
	h.active = true
	d.extend(h, s, text, start)
	d.end = end
	if whole {
		d.closePartial(s)
	}
}

// extend adds text to a held line, whatever its length, by the policy for over-long records. start is the file offset
// of text, so that the parts of a split line have the same positions however the line was cut into chunks.
func (d *Decoder) extend(h *held, s Stream, text []byte, start int64) {
	for over := len(h.buf) + len(text) - d.plan.max; over > 0; over = len(h.buf) + len(text) - d.plan.max {
		room := len(text) - over
		if d.framing.mapped {
			d.end = start + int64(max(room, 0))
		}
		if !h.long {
			h.long = true
			d.closeMulti(s, d.beforeIndex)
		}
		switch d.plan.oversize {
		case OversizeTruncate:
			h.buf = append(h.buf, text[:max(room, 0)]...)
			d.stats.TruncatedBytes += int64(len(text) - max(room, 0))
			return
		case OversizeDrop:
			h.dropped = true
			d.stats.OversizeBytes += int64(len(h.buf) + len(text))
			h.buf = h.buf[:0]
			return
		}
		if h.lines == 0 {
			d.stats.Split++
		}
		h.lines++
		part := append(append(make([]byte, 0, d.plan.max), h.buf...), text[:room]...)
		d.emit(part, h, s, d.partIndex(), false)
		h.buf, text, start = h.buf[:0], text[room:], start+int64(room)
	}
	if !h.dropped {
		h.buf = append(h.buf, text...)
	} else {
		d.stats.OversizeBytes += int64(len(text))
	}
}

// partIndex is the index of a part of a split line. Parts whose bytes are bytes of the file have an End each.
func (d *Decoder) partIndex() int32 {
	if d.framing.mapped && d.own < indexBounded {
		return indexOwn
	}
	return d.nextOwn()
}

// beforeIndex is the index of a record that the line at hand showed to be complete.
func (d *Decoder) beforeIndex() int32 {
	if d.own < indexBounded {
		return indexBefore
	}
	return d.nextOwn()
}

// closePartial ends a held line.
func (d *Decoder) closePartial(s Stream) {
	h := &d.partial[s]
	switch {
	case h.dropped:
		d.stats.OversizeRecords++
	case h.long && d.plan.oversize == OversizeTruncate:
		d.stats.TruncatedRecords++
		d.emit(clone(h.buf), h, s, d.partIndex(), false)
	case h.long:
		if len(h.buf) > 0 {
			d.emit(clone(h.buf), h, s, d.partIndex(), false)
		}
	default:
		d.logical(s, clone(h.buf), h, false)
	}
	h.reset()
}

// clone copies text to memory of its own, because what is held is used again for the next line.
func clone(text []byte) []byte {
	return append(make([]byte, 0, len(text)), text...)
}

func (h *held) reset() {
	if cap(h.buf) > 64<<10 {
		h.buf = nil
	}
	*h = held{buf: h.buf[:0]}
}

// logical takes a whole line: it is a record, or a part of a multi-line one.
func (d *Decoder) logical(s Stream, text []byte, from *held, inChunk bool) {
	m := d.plan.multiline
	if m == nil {
		d.emit(text, from, s, d.nextOwn(), inChunk)
		return
	}
	h := &d.multi[s]
	if h.active && m.begins(text) {
		d.closeMulti(s, d.beforeIndex)
	}
	if h.active && len(h.buf)+1+len(text) > d.plan.max && d.plan.oversize == OversizeSplit {
		d.stats.Split++
		d.closeMulti(s, d.beforeIndex)
	}
	if !h.active {
		quiet := !from.active && !d.holding() || from.active && from.quiet
		*h = held{active: true, start: from.start, quiet: quiet, time: from.time, raw: from.raw, buf: h.buf[:0]}
	} else {
		h.buf = append(h.buf, '\n')
	}
	h.lines++
	d.extendMulti(h, text)
	if m.ends(text) || h.lines >= m.maxLines {
		d.closeMulti(s, d.nextOwn)
	}
}

// extendMulti adds a line to a multi-line record that must not be split.
func (d *Decoder) extendMulti(h *held, text []byte) {
	room := d.plan.max - len(h.buf)
	if len(text) <= room && !h.long {
		h.buf = append(h.buf, text...)
		return
	}
	h.long = true
	if d.plan.oversize == OversizeDrop {
		h.dropped = true
		return
	}
	d.stats.TruncatedBytes += int64(len(text) - max(room, 0))
	h.buf = append(h.buf, text[:max(min(room, len(text)), 0)]...)
}

// closeMulti ends the multi-line record of a stream, if there is one.
func (d *Decoder) closeMulti(s Stream, index func() int32) {
	h := &d.multi[s]
	if !h.active {
		return
	}
	switch {
	case h.dropped:
		d.stats.OversizeRecords++
		d.stats.OversizeBytes += int64(len(h.buf))
	default:
		if h.long {
			d.stats.TruncatedRecords++
		}
		d.emit(clone(h.buf), h, s, index(), false)
	}
	h.reset()
}

// emit puts a record into the queue if the filters let it pass.
func (d *Decoder) emit(value []byte, from *held, s Stream, index int32, inChunk bool) {
	size := len(value)
	value, changed, keep := d.plan.filter(value)
	if !keep {
		d.stats.FilteredRecords++
		d.stats.FilteredBytes += int64(size)
		return
	}
	d.stats.Records++
	d.queue = append(d.queue, Record{
		Value: value, InChunk: inChunk && !changed && d.framing.inChunk, Time: from.time, Stream: s, Raw: from.raw,
		Position: Position{End: d.end, Index: index}, Clean: d.before, Carried: d.carries,
		Flushed: d.flushed,
	})
}
