using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Huzhu.Contracts;

namespace Huzhu.Matching.Ranking;

/// <summary>
/// Places on the Earth that carry traits (bits), in order of distance from a point or of load, only those that have
/// every trait asked for. Not safe for two threads; one search at a time.
/// </summary>
/// <remarks>
/// <para>
/// Structure: a tree of bounding boxes, eight children a node, packed level by level into arrays. A place is its unit
/// vector, so that the straight line between two places orders like the great circle does and neither the poles nor the
/// antimeridian are special. A node holds, for each child, the box around what is below it, the union of the traits, the
/// furthest reach and the least load: one node is tested with a few vector instructions, and what cannot hold an answer
/// is skipped whole. A search is best-first over a heap, and so goes on lazily: whoever rejects what it is given asks
/// for the next. Boxes are rounded outwards to floats; places stay doubles.
/// </para>
/// <para>
/// Complexity for n places: the next answer O(log n) nodes where those that match lie near, growing as they get rarer by
/// the nodes whose union promises what no single place below them has; a change of traits or load O(log n) without
/// allocation. A new place goes into the next of a few spare leaves and widens their boxes; when these are used up, the next
/// search packs the tree anew in O(n log² n), as it does after a first load. A removed place keeps its leaf, without traits, until then.
/// </para>
/// <para>
/// Source: bounding volumes packed by recursive median splits (Roussopoulos and Leifker 1985, García, López and
/// Leutenegger 1998), best-first search (Hjaltason and Samet 1999, "Distance browsing in spatial databases").
/// </para>
/// </remarks>
public sealed class SpatialIndex
{
    private const int Fan = 8;
    private const int Spare = 256;
    private const int Axes = 6; // lows of x, y, z, then highs
    private const int Box = Fan * (Axes + 1); // and the reach
    private const ulong Listed = 1ul << 63; // what every place has, and no spare leaf
    // Takes back what float arithmetic on the boxes may have added, so that a box is never said to be further than what it holds.
    private const float Surely = 1 - 1e-6f;

    // By handle.
    private Point[] _points = [];
    private readonly Stack<int> _unused = new();
    private int _handles;

    // The tree: items of level 0 are places, an item of a level above is eight of the one below, from _starts[level].
    private int[] _starts = [];
    private ulong[] _traits = [];
    private Key[] _least = [];
    private Leaf[] _leaves = [];
    private float[] _boxes = [];
    private int _firstSpare, _endOfSpares;
    private bool _packed;

    private Entry[] _heap = new Entry[64];
    private int _heapCount;
    private Wanted _wanted;

    /// <summary>The traits that a place may have: 63, from the lowest bit.</summary>
    public const ulong AllTraits = Listed - 1;

    /// <param name="reachMetres">Beyond which a search that minds the reach does not give this place.</param>
    /// <param name="order">What comes first of equals.</param>
    /// <returns>A handle by which to change it, and by which searches name it.</returns>
    public int Add(GeoPoint place, double reachMetres, ulong traits, double load, ulong order)
    {
        var handle = _unused.TryPop(out var free) ? free : _handles++;
        if (handle == _points.Length)
            Array.Resize(ref _points, Math.Max(64, handle * 2));
        var (x, y, z) = Sphere.UnitVector(place);
        _points[handle] = new Point(x, y, z, Sphere.SquaredChord(reachMetres), traits | Listed, new Key(load, order), -1);
        if (_packed && _firstSpare < _endOfSpares)
            Put(handle, _firstSpare++);
        else
            _packed = false;
        return handle;
    }

    public void Update(int handle, ulong traits, double load) => Set(handle, traits | Listed, load);

    public void Remove(int handle)
    {
        Set(handle, 0, double.PositiveInfinity);
        _unused.Push(handle);
    }

    /// <summary>Places with all these traits, nearest first.</summary>
    /// <param name="withinReach">Only those whose reach the point lies within.</param>
    public void SearchNear(GeoPoint point, ulong traits, bool withinReach)
    {
        var (x, y, z) = Sphere.UnitVector(point);
        Start(new Wanted(traits | Listed, true, withinReach, x, y, z));
    }

    /// <summary>Places with all these traits, least loaded first.</summary>
    public void SearchLight(ulong traits) => Start(new Wanted(traits | Listed, false, false, 0, 0, 0));

    /// <summary>The next place of the search.</summary>
    /// <param name="by">The squared straight line in Earth radii, as <see cref="Sphere.SquaredChord"/> has it, or the load; then the order.</param>
    public bool Next(out int handle, out Key by)
    {
        while (_heapCount > 0)
        {
            var entry = Pop();
            if (Follow(entry.Level, entry.First, entry.Left, out by) is var item and >= 0)
            {
                handle = _leaves[item].Handle;
                return true;
            }
        }
        (handle, by) = (-1, default);
        return false;
    }

    private void Set(int handle, ulong traits, double load)
    {
        ref var point = ref _points[handle];
        point.Traits = traits;
        point.By = new Key(load, point.By.Second);
        if (!_packed)
            return;
        var item = point.Item;
        _traits[item] = traits;
        _least[item] = point.By;
        for (var level = 1; level < _starts.Length; level++)
        {
            var first = item & -Fan;
            item = Parent(item, level);
            var (all, least) = (0ul, Key.Last);
            for (var child = first; child < first + Fan; child++)
            {
                all |= _traits[child];
                if (_least[child].CompareTo(least) < 0)
                    least = _least[child];
            }
            if (all == _traits[item] && least.CompareTo(_least[item]) == 0)
                return;
            (_traits[item], _least[item]) = (all, least);
        }
    }

    private int Parent(int item, int level) => _starts[level] + (item - _starts[level - 1]) / Fan;

    private void Start(Wanted wanted)
    {
        if (!_packed)
            Pack();
        _wanted = wanted;
        _heapCount = 0;
        var top = _starts.Length - 1;
        if (Matching(_starts[top]) is var matching and not 0)
            Push(new Entry(new Key(double.NegativeInfinity, 0), _starts[top], (byte)top, (byte)matching));
    }

    /// <summary>
    /// Follows the best of siblings downwards while nothing on the heap is better. The others stay behind as one entry, by
    /// the best of them: most are never looked at again, and what they are by is worked out anew for less than it costs to
    /// keep them in order.
    /// </summary>
    /// <param name="first">The first of eight siblings.</param>
    /// <param name="left">Which of them are still to be looked at.</param>
    /// <returns>The item of a place, or -1 when the way ended or something on the heap is better.</returns>
    private int Follow(int level, int first, uint left, out Key by)
    {
        for (; ; level--)
        {
            var best = !_wanted.Near ? Lightest(first, left, out by, out var second)
                : level > 0 ? NearestBox(first, ref left, out by, out second)
                : NearestPlace(first, ref left, out by, out second);
            if (best < 0)
                return -1;
            if (_heapCount > 0 && by.CompareTo(_heap[0].By) > 0)
            {
                Push(new Entry(by, first, (byte)level, (byte)left));
                return -1;
            }
            left &= ~(1u << best);
            if (left != 0)
                Push(new Entry(second, first, (byte)level, (byte)left));
            if (level == 0)
                return first + best;
            first = _starts[level - 1] + (first + best - _starts[level]) * Fan;
            left = Matching(first);
            if (left == 0)
                return -1;
        }
    }

    /// <param name="left">Comes back without those that do not reach so far.</param>
    /// <returns>Which of the siblings, or -1 when none is left.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int NearestBox(int first, ref uint left, out Key by, out Key second)
    {
        var (least, next) = TwoLeast(Distances(first, ref left));
        (by, second) = (new Key(Distance(least), 0), new Key(Distance(next), 0));
        return left == 0 ? -1 : least & (Fan - 1);
    }

    /// <summary>The same among places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int NearestPlace(int first, ref uint left, out Key by, out Key second)
    {
        (var best, by, second) = (-1, Key.Last, Key.Last);
        for (var matching = left; matching != 0; matching &= matching - 1)
        {
            var child = BitOperations.TrailingZeroCount(matching);
            ref var leaf = ref _leaves[first + child];
            var (x, y, z) = (leaf.X - _wanted.X, leaf.Y - _wanted.Y, leaf.Z - _wanted.Z);
            var squared = x * x + y * y + z * z;
            if (_wanted.WithinReach && squared > leaf.Reach)
            {
                left &= ~(1u << child);
                continue;
            }
            var key = new Key(squared, leaf.Order);
            if (best < 0 || key.CompareTo(by) < 0)
                (best, by, second) = (child, key, by);
            else if (key.CompareTo(second) < 0)
                second = key;
        }
        return best;
    }

    private int Lightest(int first, uint left, out Key by, out Key second)
    {
        (var best, by, second) = (-1, Key.Last, Key.Last);
        for (; left != 0; left &= left - 1)
        {
            var child = BitOperations.TrailingZeroCount(left);
            var key = _least[first + child];
            if (best < 0 || key.CompareTo(by) < 0)
                (best, by, second) = (child, key, by);
            else if (key.CompareTo(second) < 0)
                second = key;
        }
        return best;
    }

    /// <summary>
    /// From the point to the boxes of those that are left; infinity to the others, and to those that do not reach so far. A
    /// distance as its own bits, which order like it, with the number of the child in the last three: a hair less than it is.
    /// </summary>
    private Vector256<int> Distances(int first, ref uint left)
    {
        ReadOnlySpan<float> box = _boxes.AsSpan((first - _starts[1]) * (Axes + 1), Box);
        var dx = Outside(_wanted.LowX, _wanted.HighX, box, 0);
        var dy = Outside(_wanted.LowY, _wanted.HighY, box, 1);
        var dz = Outside(_wanted.LowZ, _wanted.HighZ, box, 2);
        var distances = (dx * dx + dy * dy + dz * dz) * Surely;
        var lanes = Lanes(left);
        if (_wanted.WithinReach)
        {
            lanes &= Vector256.LessThanOrEqual(distances, Vector256.Create<float>(box[(Axes * Fan)..]));
            left = lanes.ExtractMostSignificantBits();
        }
        return Vector256.ConditionalSelect(lanes, distances, Vector256.Create(float.PositiveInfinity)).AsInt32() & Vector256.Create(-Fan) | Vector256<int>.Indices;
    }

    private static float Distance(int child) => BitConverter.Int32BitsToSingle(child & -Fan);

    private static Vector256<float> Lanes(uint bits)
    {
        var each = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
        return Vector256.Equals(Vector256.Create(bits) & each, each).AsSingle();
    }

    private static (int Least, int Next) TwoLeast(Vector256<int> each)
    {
        var (one, other) = (each, Vector256.Shuffle(each, Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3)));
        var (least, next) = (Vector256.Min(one, other), Vector256.Max(one, other));
        other = Vector256.Shuffle(least, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5));
        next = Vector256.Min(Vector256.Max(least, other), Vector256.Min(next, Vector256.Shuffle(next, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5))));
        least = Vector256.Min(least, other);
        other = Vector256.Shuffle(least, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6));
        next = Vector256.Min(Vector256.Max(least, other), Vector256.Min(next, Vector256.Shuffle(next, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6))));
        return (Vector256.Min(least, other)[0], next[0]);
    }

    private uint Matching(int first)
    {
        var wanted = Vector256.Create(_wanted.Traits);
        var traits = _traits.AsSpan(first, Fan);
        return Vector256.Equals(Vector256.Create<ulong>(traits) & wanted, wanted).ExtractMostSignificantBits()
            | Vector256.Equals(Vector256.Create<ulong>(traits[4..]) & wanted, wanted).ExtractMostSignificantBits() << 4;
    }

    private static Vector256<float> Outside(float low, float high, ReadOnlySpan<float> box, int axis) => Vector256.Max(Vector256<float>.Zero, Vector256.Max(
        Vector256.Create<float>(box[(axis * Fan)..]) - Vector256.Create(high), Vector256.Create(low) - Vector256.Create<float>(box[((axis + 3) * Fan)..])));

    private void Push(in Entry entry)
    {
        if (_heapCount == _heap.Length)
            Array.Resize(ref _heap, _heapCount * 2);
        var at = _heapCount++;
        while (at > 0 && entry.By.CompareTo(_heap[(at - 1) / 2].By) < 0)
        {
            _heap[at] = _heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        _heap[at] = entry;
    }

    private Entry Pop()
    {
        var top = _heap[0];
        var last = _heap[--_heapCount];
        var at = 0;
        for (var child = 1; child < _heapCount; child = 2 * at + 1)
        {
            if (child + 1 < _heapCount && _heap[child + 1].By.CompareTo(_heap[child].By) < 0)
                child++;
            if (last.By.CompareTo(_heap[child].By) <= 0)
                break;
            _heap[at] = _heap[child];
            at = child;
        }
        _heap[at] = last;
        return top;
    }

    private void Pack()
    {
        var used = _unused.ToHashSet();
        var order = Enumerable.Range(0, _handles).Where(handle => !used.Contains(handle)).ToArray();
        Split(order, new double[order.Length]);
        _firstSpare = order.Length;
        _endOfSpares = order.Length + Spare;
        var counts = new List<int>();
        for (var count = _endOfSpares; ; count = (count + Fan - 1) / Fan)
        {
            counts.Add((count + Fan - 1) / Fan * Fan);
            if (count <= Fan)
                break;
        }
        _starts = new int[counts.Count];
        for (var level = 1; level < counts.Count; level++)
            _starts[level] = _starts[level - 1] + counts[level - 1];
        var items = counts.Sum();
        _leaves = new Leaf[counts[0]];
        _traits = new ulong[items];
        _least = new Key[items];
        Array.Fill(_least, Key.Last);
        _boxes = new float[(items - counts[0]) / Fan * Box];
        for (var box = 0; box < _boxes.Length; box += Box)
        {
            _boxes.AsSpan(box, 3 * Fan).Fill(float.PositiveInfinity);
            _boxes.AsSpan(box + 3 * Fan, 3 * Fan).Fill(float.NegativeInfinity);
        }
        for (var item = 0; item < order.Length; item++)
            Put(order[item], item);
        _packed = true;
    }

    /// <summary>Orders handles so that every eight, sixty-four, … in a row lie close together.</summary>
    private void Split(Span<int> handles, Span<double> along)
    {
        if (handles.Length <= Fan)
            return;
        var unit = Fan;
        while (unit * Fan < handles.Length)
            unit *= Fan;
        Span<double> low = [double.MaxValue, double.MaxValue, double.MaxValue], high = [double.MinValue, double.MinValue, double.MinValue];
        foreach (var handle in handles)
        {
            for (var axis = 0; axis < 3; axis++)
            {
                low[axis] = Math.Min(low[axis], _points[handle].Along(axis));
                high[axis] = Math.Max(high[axis], _points[handle].Along(axis));
            }
        }
        var widest = 0;
        for (var axis = 1; axis < 3; axis++)
            widest = high[axis] - low[axis] > high[widest] - low[widest] ? axis : widest;
        for (var index = 0; index < handles.Length; index++)
            along[index] = _points[handles[index]].Along(widest);
        along.Sort(handles);
        var half = (handles.Length + unit - 1) / unit / 2 * unit;
        Split(handles[..half], along[..half]);
        Split(handles[half..], along[half..]);
    }

    private void Put(int handle, int item)
    {
        ref var point = ref _points[handle];
        point.Item = item;
        _leaves[item] = new Leaf(point.X, point.Y, point.Z, point.Reach, point.By.Second, handle);
        _traits[item] = point.Traits;
        _least[item] = point.By;
        var reach = MathF.BitIncrement((float)point.Reach);
        for (var level = 1; level < _starts.Length; level++)
        {
            item = Parent(item, level);
            _traits[item] |= point.Traits;
            if (point.By.CompareTo(_least[item]) < 0)
                _least[item] = point.By;
            var box = (item - _starts[1]) / Fan * Box + item % Fan;
            for (var axis = 0; axis < 3; axis++)
            {
                ref var low = ref _boxes[box + axis * Fan];
                low = Math.Min(low, Below(point.Along(axis)));
                ref var high = ref _boxes[box + (axis + 3) * Fan];
                high = Math.Max(high, Above(point.Along(axis)));
            }
            ref var furthest = ref _boxes[box + Axes * Fan];
            furthest = Math.Max(furthest, reach);
        }
    }

    private static float Below(double value) => (float)value > value ? MathF.BitDecrement((float)value) : (float)value;
    private static float Above(double value) => (float)value < value ? MathF.BitIncrement((float)value) : (float)value;

    /// <summary>What a search goes by.</summary>
    public readonly record struct Key(double First, ulong Second) : IComparable<Key>
    {
        public static Key Last { get; } = new(double.PositiveInfinity, ulong.MaxValue);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public int CompareTo(Key other) => First < other.First ? -1 : First > other.First ? 1 : Second.CompareTo(other.Second);
    }

    private record struct Point(double X, double Y, double Z, double Reach, ulong Traits, Key By, int Item)
    {
        public readonly double Along(int axis) => axis == 0 ? X : axis == 1 ? Y : Z;
    }

    /// <summary>What a search reads of a place, in one piece of memory.</summary>
    private readonly record struct Leaf(double X, double Y, double Z, double Reach, ulong Order, int Handle);

    /// <param name="By">That of the best of those that are left.</param>
    private readonly record struct Entry(Key By, int First, byte Level, byte Left);

    private readonly struct Wanted(ulong traits, bool near, bool withinReach, double x, double y, double z)
    {
        public readonly ulong Traits = traits;
        public readonly bool Near = near, WithinReach = withinReach;
        public readonly double X = x, Y = y, Z = z;
        public readonly float LowX = Below(x), HighX = Above(x), LowY = Below(y), HighY = Above(y), LowZ = Below(z), HighZ = Above(z);
    }
}
