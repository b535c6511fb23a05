using Huzhu.Audit.Sealing;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

public class SignedNoteTests
{
    // The example of Go's package golang.org/x/mod/sumdb/note.
    private const string PublicKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    private const string PrivateKey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    private const string Text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    private const string Note = Text + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    // The example of c2sp.org/tlog-checkpoint. The key behind its signature is not published.
    private const string Example = """
        example.com/behind-the-sofa
        20852163
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

        """;

    private static readonly NoteSigner Signer = NoteSigner.Generate("huzhu.test");
    private static readonly Checkpoint Some = new("huzhu.test/matching", 12, [.. Enumerable.Range(0, 32).Select(one => (byte)one)], 17);

    [Fact]
    public void a_note_of_another_tool_is_read_and_written_alike()
    {
        var (text, signedBy) = SignedNote.Open(Note, [NoteKey.Parse(PublicKey)]);
        Assert.Equal((Text, PublicKey), (text, Assert.Single(signedBy).ToString()));
        var signer = NoteSigner.Parse(PrivateKey);
        Assert.Equal((PublicKey, PrivateKey), (signer.Key.ToString(), signer.ToString()));
        Assert.Equal(Note, SignedNote.Sign(Text, [signer]));
    }

    [Fact]
    public void the_example_of_the_specification_is_a_note_that_nobody_we_trust_has_signed()
    {
        var (text, signedBy) = SignedNote.Open(Example, [Signer.Key]);
        Assert.Equal("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", text);
        Assert.Empty(signedBy);
        Assert.Throws<FormatException>(() => SignedCheckpoint.Open(Example, [Signer.Key]));
    }

    [Fact]
    public void a_checkpoint_comes_back_as_it_was_signed()
    {
        var signed = SignedCheckpoint.Make(Some, [Signer]);
        Assert.StartsWith("huzhu.test/matching\n12\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsequence 17\n\n— huzhu.test ", signed.Note, StringComparison.Ordinal);
        Assert.Equal(Some.Text, SignedCheckpoint.Open(signed.Note, [Signer.Key]).Checkpoint.Text);
    }

    [Theory]
    [InlineData("12", "13")]
    [InlineData("AAEC", "AAED")]
    [InlineData("sequence 17", "sequence 18")]
    [InlineData("/matching", "/requests")]
    public void a_changed_checkpoint_is_refused(string what, string with) =>
        Assert.Throws<FormatException>(() => SignedCheckpoint.Open(SignedCheckpoint.Make(Some, [Signer]).Note.Replace(what, with, StringComparison.Ordinal), [Signer.Key]));

    [Fact]
    public void a_key_of_the_same_name_is_not_the_same_key() =>
        Assert.Throws<FormatException>(() => SignedCheckpoint.Open(SignedCheckpoint.Make(Some, [NoteSigner.Generate("huzhu.test")]).Note, [Signer.Key]));

    [Fact]
    public void while_keys_change_either_is_enough()
    {
        var next = NoteSigner.Generate("huzhu.test");
        var note = SignedCheckpoint.Make(Some, [Signer, next]).Note;
        Assert.Equal(Some.Text, SignedCheckpoint.Open(note, [Signer.Key]).Checkpoint.Text);
        Assert.Equal(Some.Text, SignedCheckpoint.Open(note, [next.Key]).Checkpoint.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("text without a signature\n")]
    [InlineData("text\n\n— name not-base64\n")]
    [InlineData("text\n\n— name AAAA\n")]
    [InlineData("text\n\nname AAAAAAAA\n")]
    public void what_is_no_note_is_refused(string text) => Assert.Throws<FormatException>(() => SignedNote.Open(text, [Signer.Key]));

    [Fact]
    public void a_private_key_that_cannot_be_read_is_not_repeated()
    {
        var wrong = Signer.ToString().Replace("huzhu.test+", "huzhu.best+", StringComparison.Ordinal);
        var exception = Assert.Throws<FormatException>(() => NoteSigner.Parse(wrong));
        Assert.DoesNotContain(wrong.Split('+', 5)[^1], exception.Message, StringComparison.Ordinal);
    }
}
