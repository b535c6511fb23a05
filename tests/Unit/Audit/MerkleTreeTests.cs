using System.Text;
using CsCheck;
using Huzhu.Audit.Sealing;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>The vectors of transparency-dev/merkle (testonly/constants.go, rfc6962_test.go, reference_test.go).</summary>
public class MerkleTreeTests
{
    private static readonly byte[][] Leaves =
    [
        .. new[] { "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f" }
            .Select(leaf => MerkleTree.HashOfLeaf(Convert.FromHexString(leaf))),
    ];

    private static readonly string[] Roots =
    [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    private const string Root4 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    private const string Pair1 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    private const string Leaf4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    private const string Pair3 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    private const string Pair2 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

    [Fact]
    public void leaf_and_node_hashes_are_those_of_the_vectors()
    {
        Assert.Equal("395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56", Hex(MerkleTree.HashOfLeaf("L123456"u8)));
        Assert.Equal("aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb", Hex(MerkleTree.HashOfNode("N123"u8, "N456"u8)));
    }

    [Fact]
    public void the_root_is_that_of_the_vectors_at_every_size()
    {
        var tree = new MerkleTree();
        Assert.Equal(Roots[0], Hex(tree.Root()));
        for (var size = 1; size <= 8; size++)
        {
            tree.Add(Leaves[size - 1]);
            Assert.Equal((size, Roots[size]), ((int)tree.Size, Hex(tree.Root())));
        }
    }

    [Fact]
    public void inclusion_proofs_are_those_of_the_vectors()
    {
        Assert.Equal([Leaf4, Pair3, Root4], MerkleProofs.OfInclusion(Leaves, 5).Select(Hex));
        Assert.Equal([Roots[1], Pair1, Leaf4], MerkleProofs.OfInclusion(Leaves[..5], 1).Select(Hex));
        Assert.Empty(MerkleProofs.OfInclusion(Leaves[..1], 0));
    }

    [Fact]
    public void consistency_proofs_are_those_of_the_vectors()
    {
        Assert.Equal([Pair2, Pair3, Root4], MerkleProofs.OfConsistency(Leaves, 6).Select(Hex));
        Assert.Equal([Pair1, Leaf4], MerkleProofs.OfConsistency(Leaves[..5], 2).Select(Hex));
        Assert.Empty(MerkleProofs.OfConsistency(Leaves[..1], 1));
    }

    [Fact]
    public void every_inclusion_proof_holds_for_its_leaf_and_for_no_other_leaf_place_size_or_path() => Gen.Int[1, 70].Sample(size =>
    {
        var (leaves, root) = Tree(size);
        for (var index = 0; index < size; index++)
        {
            var path = MerkleProofs.OfInclusion(leaves, index);
            Assert.True(MerkleProofs.Includes(root, size, leaves[index], index, path));
            Assert.False(MerkleProofs.Includes(root, size, MerkleTree.HashOfLeaf("another"u8), index, path));
            Assert.False(MerkleProofs.Includes(root, size, leaves[index], size, path));
            Assert.False(MerkleProofs.Includes(root, size, leaves[index], index, [.. path, root]));
            if (size > 1)
            {
                Assert.False(MerkleProofs.Includes(root, size, leaves[index], (index + 1) % size, path));
                Assert.False(MerkleProofs.Includes(root, size, leaves[index], index, [.. path.Skip(1)]));
                Assert.False(MerkleProofs.Includes(root, size, leaves[index], index, [MerkleTree.HashOfLeaf("another"u8), .. path.Skip(1)]));
            }
        }
    }, iter: 40);

    [Fact]
    public void every_consistency_proof_holds_for_its_trees_and_for_no_others() => Gen.Select(Gen.Int[1, 70], Gen.Int[0, 40]).Sample((oldSize, more) =>
    {
        var (_, oldRoot) = Tree(oldSize);
        var (leaves, newRoot) = Tree(oldSize + more);
        var path = MerkleProofs.OfConsistency(leaves, oldSize);
        Assert.True(MerkleProofs.Extends(oldRoot, oldSize, newRoot, oldSize + more, path));
        var another = MerkleTree.HashOfLeaf("another"u8);
        Assert.False(MerkleProofs.Extends(another, oldSize, newRoot, oldSize + more, path));
        Assert.False(MerkleProofs.Extends(oldRoot, oldSize, another, oldSize + more, path));
        Assert.False(MerkleProofs.Extends(oldRoot, oldSize, newRoot, oldSize + more, [.. path, another]));
        Assert.False(MerkleProofs.Extends(oldRoot, oldSize + more + 1, newRoot, oldSize + more, path));
        if (path.Count > 0)
            Assert.False(MerkleProofs.Extends(oldRoot, oldSize, newRoot, oldSize + more, [.. path.SkipLast(1)]));
    });

    private static (byte[][] Leaves, byte[] Root) Tree(int size)
    {
        var tree = new MerkleTree();
        byte[][] leaves = [.. Enumerable.Range(0, size).Select(index => MerkleTree.HashOfLeaf(Encoding.UTF8.GetBytes($"leaf {index}")))];
        foreach (var leaf in leaves)
            tree.Add(leaf);
        return (leaves, tree.Root());
    }

    private static string Hex(byte[] hash) => Convert.ToHexStringLower(hash);
}
