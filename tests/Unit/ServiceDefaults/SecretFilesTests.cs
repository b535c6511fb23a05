using Huzhu.ServiceDefaults;
using Huzhu.Tests.Unit.Kubernetes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public sealed class SecretFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-secrets-");

    public static TheoryData<string> EveryService => [.. Manifests.Services, "console"];

    [Fact]
    public void a_file_is_a_setting_and_wins_over_the_environment()
    {
        // As Kubernetes mounts it: a link into a folder that begins with dots.
        var data = _folder.CreateSubdirectory("..2026_11_27");
        File.WriteAllText(Path.Combine(data.FullName, "PersonalData__MasterKey"), "of the file\n");
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, "..data"), data.FullName);
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, "PersonalData__MasterKey"), "..data/PersonalData__MasterKey");
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection([new(SecretFiles.Folder, _folder.FullName), new("PersonalData:MasterKey", "of the environment"), new("Other", "there")]);
        configuration.AddSecretFiles();
        Assert.Equal(("of the file", "there"), (configuration["PersonalData:MasterKey"], configuration["Other"]));
        Assert.DoesNotContain(configuration.AsEnumerable(), setting => setting.Key.Contains("data", StringComparison.Ordinal) && setting.Key.StartsWith('.'));
    }

    [Fact]
    public void a_folder_that_is_not_there_is_named()
    {
        var configuration = new ConfigurationManager { [SecretFiles.Folder] = "/nowhere/at/all" };
        Assert.Contains(SecretFiles.Folder, Assert.Throws<InvalidOperationException>(() => configuration.AddSecretFiles()).Message);
    }

    /// <summary>With its secrets in files and nowhere else, and not without them.</summary>
    [Theory, MemberData(nameof(EveryService))]
    public async Task every_program_takes_its_secrets_from_files(string service)
    {
        var (secrets, others) = (new List<KeyValuePair<string, string>>(), new List<KeyValuePair<string, string>>());
        foreach (var setting in AgreementTests.Settings(service).Where(setting => setting.Key.Contains("__", StringComparison.Ordinal)))
            (setting.Key.EndsWith("Key", StringComparison.Ordinal) || setting.Key.EndsWith("Secret", StringComparison.Ordinal) || setting.Key.StartsWith("ConnectionStrings", StringComparison.Ordinal) ? secrets : others).Add(setting);
        Assert.NotEmpty(secrets);
        await Assert.ThrowsAsync<InvalidOperationException>(() => Code.BuiltAsync(service, others, _ => 0));
        foreach (var (name, value) in secrets)
            File.WriteAllText(Path.Combine(_folder.FullName, name), value + "\n");
        var read = await Code.BuiltAsync(service, others.Append(new("Secrets__Folder", _folder.FullName)), services => services.GetRequiredService<IConfiguration>());
        Assert.All(secrets, secret => Assert.Equal(secret.Value, read[secret.Key.Replace("__", ":", StringComparison.Ordinal)]));
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
