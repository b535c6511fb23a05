using System.Buffers;
using System.Numerics;
using System.Security.Cryptography;

namespace Huzhu.Audit.Sealing;

/// <summary>
/// The Merkle tree of RFC 6962 as it grows. It keeps the hashes of its full subtrees only, one for each bit of its size,
/// so a log of any length passes through in flat memory.
/// </summary>
public sealed class MerkleTree
{
    /// <summary>Largest subtree first.</summary>
    private readonly List<byte[]> _subtrees = [];

    public long Size { get; private set; }

    public void Add(byte[] leafHash)
    {
        var hash = leafHash;
        // As many subtrees become one as the size has trailing ones in binary.
        for (var full = BitOperations.TrailingZeroCount(~Size); full > 0; full--)
        {
            hash = HashOfNode(_subtrees[^1], hash);
            _subtrees.RemoveAt(_subtrees.Count - 1);
        }
        _subtrees.Add(hash);
        Size++;
    }

    public byte[] Root()
    {
        if (_subtrees.Count == 0)
            return SHA256.HashData([]);
        var root = _subtrees[^1];
        for (var index = _subtrees.Count - 2; index >= 0; index--)
            root = HashOfNode(_subtrees[index], root);
        return root;
    }

    public static byte[] HashOfLeaf(ReadOnlySpan<byte> data)
    {
        var prefixed = ArrayPool<byte>.Shared.Rent(1 + data.Length);
        prefixed[0] = 0;
        data.CopyTo(prefixed.AsSpan(1));
        var hash = SHA256.HashData(prefixed.AsSpan(0, 1 + data.Length));
        ArrayPool<byte>.Shared.Return(prefixed);
        return hash;
    }

    public static byte[] HashOfNode(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        Span<byte> data = stackalloc byte[1 + left.Length + right.Length];
        data[0] = 1;
        left.CopyTo(data[1..]);
        right.CopyTo(data[(1 + left.Length)..]);
        return SHA256.HashData(data);
    }
}

/// <summary>Proofs over the leaves of a tree, made and checked as RFC 9162 (which repeats RFC 6962) says.</summary>
public static class MerkleProofs
{
    /// <summary>That the leaf at <paramref name="index"/> is in the tree of all these leaves.</summary>
    public static IReadOnlyList<byte[]> OfInclusion(IReadOnlyList<byte[]> leaves, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, leaves.Count);
        var path = new List<byte[]>();
        Walk(0, leaves.Count);
        return path;

        void Walk(int from, int to)
        {
            if (to - from == 1)
                return;
            var middle = from + Split(to - from);
            var left = index < middle;
            Walk(left ? from : middle, left ? middle : to);
            path.Add(left ? RootOf(leaves, middle, to) : RootOf(leaves, from, middle));
        }
    }

    /// <summary>That the tree of all these leaves grew out of the tree of the first <paramref name="oldSize"/>.</summary>
    public static IReadOnlyList<byte[]> OfConsistency(IReadOnlyList<byte[]> leaves, int oldSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(oldSize, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(oldSize, leaves.Count);
        var path = new List<byte[]>();
        Walk(0, leaves.Count, whole: true);
        return path;

        void Walk(int from, int to, bool whole)
        {
            if (oldSize == to)
            {
                if (!whole)
                    path.Add(RootOf(leaves, from, to));
                return;
            }
            var middle = from + Split(to - from);
            if (oldSize <= middle)
            {
                Walk(from, middle, whole);
                path.Add(RootOf(leaves, middle, to));
            }
            else
            {
                Walk(middle, to, whole: false);
                path.Add(RootOf(leaves, from, middle));
            }
        }
    }

    public static bool Includes(byte[] root, long size, byte[] leafHash, long index, IReadOnlyList<byte[]> path)
    {
        if (index < 0 || index >= size)
            return false;
        var (node, last, hash) = (index, size - 1, leafHash);
        foreach (var sibling in path)
        {
            if (last == 0)
                return false;
            if ((node & 1) == 1 || node == last)
            {
                hash = MerkleTree.HashOfNode(sibling, hash);
                while ((node & 1) == 0 && node != 0)
                    (node, last) = (node >> 1, last >> 1);
            }
            else
                hash = MerkleTree.HashOfNode(hash, sibling);
            (node, last) = (node >> 1, last >> 1);
        }
        return last == 0 && hash.AsSpan().SequenceEqual(root);
    }

    public static bool Extends(byte[] oldRoot, long oldSize, byte[] newRoot, long newSize, IReadOnlyList<byte[]> path)
    {
        if (oldSize < 1 || oldSize > newSize)
            return false;
        if (oldSize == newSize)
            return path.Count == 0 && oldRoot.AsSpan().SequenceEqual(newRoot);
        // A tree whose size is a power of two is itself the first node of the path.
        IReadOnlyList<byte[]> nodes = BitOperations.IsPow2(oldSize) ? [oldRoot, .. path] : path;
        if (nodes.Count == 0)
            return false;
        var (node, last) = (oldSize - 1, newSize - 1);
        while ((node & 1) == 1)
            (node, last) = (node >> 1, last >> 1);
        var (fromOld, fromNew) = (nodes[0], nodes[0]);
        foreach (var sibling in nodes.Skip(1))
        {
            if (last == 0)
                return false;
            if ((node & 1) == 1 || node == last)
            {
                (fromOld, fromNew) = (MerkleTree.HashOfNode(sibling, fromOld), MerkleTree.HashOfNode(sibling, fromNew));
                while ((node & 1) == 0 && node != 0)
                    (node, last) = (node >> 1, last >> 1);
            }
            else
                fromNew = MerkleTree.HashOfNode(fromNew, sibling);
            (node, last) = (node >> 1, last >> 1);
        }
        return last == 0 && fromOld.AsSpan().SequenceEqual(oldRoot) && fromNew.AsSpan().SequenceEqual(newRoot);
    }

    /// <summary>The largest power of two below the size.</summary>
    private static int Split(int size) => 1 << (BitOperations.Log2((uint)size - 1));

    private static byte[] RootOf(IReadOnlyList<byte[]> leaves, int from, int to)
    {
        var tree = new MerkleTree();
        for (var index = from; index < to; index++)
            tree.Add(leaves[index]);
        return tree.Root();
    }
}
